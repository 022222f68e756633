// Search and sort the table of questions. Without this script the table is whole, the largest loss first.
const table = document.querySelector("table.questions");
if (table) {
  const rows = [...table.tBodies];
  const words = rows.map((row) => {
    const copy = row.cloneNode(true);
    for (const passage of copy.querySelectorAll("details details")) passage.remove();
    return copy.textContent.toLowerCase();
  });
  const search = document.createElement("input");
  search.type = "search";
  search.placeholder = "Search questions and answers";
  search.setAttribute("aria-label", search.placeholder);
  search.addEventListener("input", () => {
    const wanted = search.value.toLowerCase();
    rows.forEach((row, number) => { row.hidden = !words[number].includes(wanted); });
  });
  document.getElementById("search").append(search);

  const last = (row, column) => {
    const numbers = row.rows[0].cells[column].textContent.match(/[-+]?\d\.\d+/g);
    return numbers ? Number(numbers.at(-1)) : Infinity; // unscored questions stand last
  };
  [...table.tHead.rows[0].cells].forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const direction = heading.ariaSort === "ascending" ? -1 : 1;
      for (const other of table.tHead.rows[0].cells) other.ariaSort = null;
      heading.ariaSort = direction > 0 ? "ascending" : "descending";
      const by = column
        ? (one, two) => direction * (last(one, column) - last(two, column))
        : (one, two) => direction * one.rows[0].textContent.localeCompare(two.rows[0].textContent);
      table.append(...rows.toSorted(by));
    });
  });
}

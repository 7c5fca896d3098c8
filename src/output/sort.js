// A click on the name of a column sorts its table; without scripts the page is the same, unsorted.
const size = text => {
  const [, number, unit] = /^([\d.]+) (k|M|G|T|P|E|)B$/.exec(text) ?? [];
  return number && number * 1000 ** ['', 'k', 'M', 'G', 'T', 'P', 'E'].indexOf(unit);
};
for (const head of document.querySelectorAll('thead th')) {
  const sort = () => {
    const body = head.closest('table').tBodies[0], at = head.cellIndex, was = head.getAttribute('aria-sort');
    const texts = [...body.rows].map(row => row.cells[at]).filter(cell => !cell.className.includes('null')).map(cell => cell.textContent);
    const value = head.className === 'number' ? Number : texts.length && texts.every(text => size(text) !== undefined) ? size : null;
    const down = was ? was === 'ascending' : value !== null;
    for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const key = row => row.cells[at].className.includes('null') ? null : value ? value(row.cells[at].textContent) : row.cells[at].textContent;
    const order = (a, b) => value ? a - b : a < b ? -1 : a > b ? 1 : 0;
    const rows = [...body.rows].map(row => [key(row), row]);
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : down ? order(b, a) : order(a, b));
    body.append(...rows.map(([, row]) => row));
  };
  head.tabIndex = 0;
  head.addEventListener('click', sort);
  head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
}

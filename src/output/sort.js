// A click on the name of a column sorts its table; without scripts the page is the same, unsorted.
for (const head of document.querySelectorAll('thead th')) {
  const sort = () => {
    const isNumber = head.className === 'number', was = head.getAttribute('aria-sort');
    const down = was ? was === 'ascending' : isNumber;
    for (const other of head.parentNode.cells) other.removeAttribute('aria-sort');
    head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
    const body = head.closest('table').tBodies[0], at = head.cellIndex;
    const key = row => row.cells[at].className.includes('null') ? null : isNumber ? Number(row.cells[at].textContent) : row.cells[at].textContent;
    const order = (a, b) => isNumber ? a - b : a < b ? -1 : a > b ? 1 : 0;
    const rows = [...body.rows].map(row => [key(row), row]);
    rows.sort(([a], [b]) => a === null || b === null ? (a === null) - (b === null) : down ? order(b, a) : order(a, b));
    body.append(...rows.map(([, row]) => row));
  };
  head.tabIndex = 0;
  head.addEventListener('click', sort);
  head.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
}

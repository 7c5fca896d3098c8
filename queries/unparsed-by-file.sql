-- description: Lines that no format takes, by file
-- topic: logs
-- needs: unparsed
-- param: top integer = 20 -- rows at most
-- chart: bar x=_file y=lines

SELECT _file, count(*) AS lines, min(_line) AS first_line, max(failed_column) AS furthest_column
FROM unparsed
GROUP BY _file
ORDER BY lines DESC, _file
LIMIT $top

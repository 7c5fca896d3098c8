-- description: Lines that no format takes, by reason and nearest format
-- topic: logs
-- needs: unparsed
-- param: top integer = 20 -- rows at most
-- chart: bar x=nearest_format y=lines

SELECT reason, coalesce(nearest_format, 'none') AS nearest_format, failed_field, count(*) AS lines, count(DISTINCT _file) AS files, min(raw) AS example
FROM unparsed
GROUP BY 1, 2, 3
ORDER BY lines DESC, 1, 2, 3
LIMIT $top

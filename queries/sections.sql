-- description: Sections of the site: the first part of the path
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=section y=hits

SELECT section(url) AS section, count(*) AS hits, count(*) FILTER (WHERE status >= 500) AS failed, bytes_human(sum(bytes)) AS sent
FROM access_log
WHERE url IS NOT NULL
GROUP BY 1
ORDER BY hits DESC, section
LIMIT $top

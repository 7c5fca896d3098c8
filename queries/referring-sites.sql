-- description: Sites that visitors come from
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=site y=hits

SELECT url_host(referer) AS site, count(*) AS hits, count(DISTINCT client_ip) AS clients
FROM access_log
WHERE url_host(referer) IS NOT NULL
GROUP BY 1
ORDER BY hits DESC, site
LIMIT $top

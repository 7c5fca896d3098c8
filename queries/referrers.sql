-- description: Pages that visitors come from
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=referer y=hits

SELECT referer, count(*) AS hits, count(DISTINCT client_ip) AS clients
FROM access_log
WHERE referer IS NOT NULL
GROUP BY referer
ORDER BY hits DESC, referer
LIMIT $top

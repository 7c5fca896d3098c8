-- description: Pages elsewhere and here that link to what is not there
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most

SELECT referer, path, count(*) AS hits
FROM access_log
WHERE status = 404 AND referer IS NOT NULL
GROUP BY referer, path
ORDER BY hits DESC, referer, path
LIMIT $top

-- description: Requests by method and protocol
-- topic: web
-- needs: access_log
-- chart: bar x=method y=hits

SELECT coalesce(method, 'none') AS method, coalesce(protocol, 'none') AS protocol, count(*) AS hits
FROM access_log
GROUP BY 1, 2
ORDER BY hits DESC, 1, 2

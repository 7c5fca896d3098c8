-- description: Requests by status
-- topic: web
-- needs: access_log
-- chart: bar x=status y=hits

SELECT status, count(*) AS hits, round(100.0 * count(*) / sum(count(*)) OVER (), 2) AS percent, bytes_human(sum(bytes)) AS sent
FROM access_log
GROUP BY status
ORDER BY status

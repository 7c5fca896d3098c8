-- description: Bytes sent over time
-- topic: web
-- needs: access_log
-- param: step interval = 1 hour -- width of a bucket
-- chart: line x=time y=bytes

SELECT time_bucket($step, time) AS time, sum(bytes) AS bytes, bytes_human(sum(bytes)) AS sent, count(*) AS hits
FROM access_log
WHERE time IS NOT NULL
GROUP BY 1
ORDER BY 1

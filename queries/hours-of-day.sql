-- description: Requests by hour of the day, on the clock of this machine or of --tz
-- topic: web
-- needs: access_log
-- chart: bar x=hour y=hits

SELECT local_hour(time) AS hour, count(*) AS hits, count(DISTINCT client_ip) AS clients
FROM access_log
WHERE time IS NOT NULL
GROUP BY 1
ORDER BY 1

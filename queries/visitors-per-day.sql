-- description: Visitors, requests and bytes per day; a visitor is an address with a user agent
-- topic: web
-- needs: access_log
-- chart: bar x=day y=visitors

SELECT local_day(time) AS day, count(DISTINCT (client_ip, user_agent)) AS visitors, count(*) AS hits, bytes_human(sum(bytes)) AS sent
FROM access_log
GROUP BY 1
ORDER BY 1

-- description: Names that were blocked or refused
-- topic: dns
-- needs: dns_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=query_name y=times

SELECT rtrim(lower(query_name), '.') AS query_name, action, count(*) AS times, count(DISTINCT client_ip) AS clients, time_bucket('1 second', max(time)) AS latest
FROM dns_log
WHERE action IN ('blocked', 'denied') AND query_name IS NOT NULL
GROUP BY 1, 2
ORDER BY times DESC, query_name
LIMIT $top

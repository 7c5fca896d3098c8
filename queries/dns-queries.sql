-- description: Names that are asked for
-- topic: dns
-- needs: dns_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=query_name y=queries

SELECT rtrim(lower(query_name), '.') || CASE query_name WHEN '.' THEN '.' ELSE '' END AS query_name, count(*) AS queries, count(DISTINCT client_ip) AS clients, time_bucket('1 second', max(time)) AS latest
FROM dns_log
WHERE query_name IS NOT NULL AND action = 'query'
GROUP BY 1
ORDER BY queries DESC, query_name
LIMIT $top

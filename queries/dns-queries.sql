-- description: Names that are asked for
-- topic: dns
-- needs: dns_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=query_name y=queries

SELECT query_name, count(*) AS queries, count(DISTINCT client_ip) AS clients, max(time) AS latest
FROM dns_log
WHERE query_name IS NOT NULL AND action = 'query'
GROUP BY query_name
ORDER BY queries DESC, query_name
LIMIT $top

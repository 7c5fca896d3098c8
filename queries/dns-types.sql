-- description: Queries by type
-- topic: dns
-- needs: dns_log
-- chart: bar x=query_type y=queries

SELECT query_type, count(*) AS queries
FROM dns_log
WHERE query_type IS NOT NULL
GROUP BY query_type
ORDER BY queries DESC, query_type

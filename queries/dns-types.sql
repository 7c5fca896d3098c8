-- description: Queries by type
-- topic: dns
-- needs: dns_log
-- chart: bar x=query_type y=queries

SELECT upper(replace(query_type, 'type=', 'TYPE')) AS query_type, count(*) AS queries
FROM dns_log
WHERE query_type IS NOT NULL
GROUP BY 1
ORDER BY queries DESC, query_type

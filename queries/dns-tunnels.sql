-- description: Domains with long or many different names: tunnels and leaks look like that
-- topic: dns
-- needs: dns_log
-- param: names integer = 50 -- different names at least, or
-- param: length integer = 60 -- characters of the longest one
-- param: top integer = 20 -- rows at most
-- chart: bar x=domain y=names

SELECT regexp_replace(lower(query_name), '^.*?([^.]+\.[^.]+)\.?$', '\1') AS domain, count(*) AS queries, count(DISTINCT rtrim(lower(query_name), '.')) AS names,
  max(length(query_name)) AS longest, round(avg(length(query_name)), 1) AS mean_length, count(*) FILTER (WHERE query_type IN ('TXT', 'NULL')) AS txt
FROM dns_log
WHERE query_name IS NOT NULL
GROUP BY 1
HAVING count(DISTINCT rtrim(lower(query_name), '.')) >= $names OR max(length(query_name)) >= $length
ORDER BY names DESC, longest DESC, domain
LIMIT $top

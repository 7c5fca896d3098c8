-- description: Names and clients that get NXDOMAIN again and again
-- topic: dns
-- needs: dns_log
-- param: least integer = 2 -- times at least
-- param: top integer = 20 -- rows at most
-- chart: bar x=domain y=times

SELECT coalesce(client_ip, 'unknown') AS client, regexp_replace(lower(query_name), '^.*?([^.]+\.[^.]+)\.?$', '\1') AS domain, count(*) AS times,
  count(DISTINCT rtrim(lower(query_name), '.')) AS names, time_bucket('1 second', max(time)) AS latest
FROM dns_log
WHERE rcode = 'NXDOMAIN' AND query_name IS NOT NULL
GROUP BY 1, 2
HAVING count(*) >= $least
ORDER BY times DESC, client, domain
LIMIT $top

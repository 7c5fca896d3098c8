-- description: Networks (/24, or /48 of IPv6) by hits
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=network y=hits

SELECT ip_network(client_ip, 24, 48) AS network, count(*) AS hits, count(DISTINCT client_ip) AS clients, bytes_human(sum(bytes)) AS sent
FROM access_log
WHERE client_ip IS NOT NULL
GROUP BY 1
ORDER BY hits DESC, network
LIMIT $top

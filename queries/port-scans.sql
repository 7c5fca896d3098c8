-- description: Addresses that knock at many ports
-- topic: network
-- needs: firewall_log
-- param: ports integer = 3 -- ports at least
-- param: top integer = 20 -- rows at most
-- chart: bar x=source_ip y=ports

SELECT source_ip, count(DISTINCT dest_port) AS ports, count(DISTINCT dest_ip) AS destinations, count(*) AS packets, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM firewall_log
WHERE source_ip IS NOT NULL
GROUP BY source_ip
HAVING count(DISTINCT dest_port) >= $ports
ORDER BY ports DESC, source_ip
LIMIT $top

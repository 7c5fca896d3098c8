-- description: Packets and connections that a firewall denied, by port
-- topic: network
-- needs: firewall_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=dest_port y=denied

SELECT lower(protocol) AS protocol, dest_port, count(*) AS denied, count(DISTINCT source_ip) AS sources, count(DISTINCT dest_ip) AS destinations, time_bucket('1 second', max(time)) AS latest
FROM firewall_log
WHERE action IN ('block', 'drop', 'reject', 'deny')
GROUP BY 1, 2
ORDER BY denied DESC, dest_port
LIMIT $top

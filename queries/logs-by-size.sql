-- description: Logs by records and bytes of their text
-- topic: logs
-- needs: access_log, error_log, dns_log, syslog
-- param: top integer = 20 -- rows at most
-- chart: bar x=file y=bytes

WITH records AS (
  SELECT _file, _format, octet_length(_raw) AS bytes, time FROM access_log
  UNION ALL
  SELECT _file, _format, octet_length(_raw), time FROM error_log
  UNION ALL
  SELECT _file, _format, octet_length(_raw), time FROM dns_log
  UNION ALL
  SELECT _file, _format, octet_length(_raw), time FROM syslog
)
SELECT _file AS file, _format AS format, count(*) AS records, sum(bytes) AS bytes, bytes_human(sum(bytes)) AS size, time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM records
GROUP BY 1, 2
ORDER BY bytes DESC, file, format
LIMIT $top

-- description: Programs by messages: who logs too much
-- topic: sre
-- needs: syslog
-- param: top integer = 20 -- rows at most
-- chart: bar x=program y=messages

SELECT coalesce(program, 'unknown') AS program, count(*) AS messages, sum(octet_length(message)) AS bytes,
  time_bucket('1 second', min(time)) AS first, time_bucket('1 second', max(time)) AS latest
FROM syslog
GROUP BY 1
ORDER BY messages DESC, program
LIMIT $top

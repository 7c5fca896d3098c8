-- description: Kernel messages of weight: oopses, out of memory, hangs, segfaults
-- topic: system
-- needs: syslog
-- param: top integer = 100 -- rows at most

SELECT time, host, coalesce(severity, '') AS severity, message
FROM syslog
WHERE program = 'kernel'
  AND (severity IN ('emerg', 'alert', 'crit', 'err')
    OR message ~* '(oops|bug:|panic|out of memory|oom-kill|killed process|hung task|blocked for more than|segfault|call trace|soft lockup|mce:|hardware error)')
ORDER BY time DESC
LIMIT $top

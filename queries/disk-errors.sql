-- description: What the kernel says about failing disks and file systems
-- topic: system
-- needs: syslog
-- param: top integer = 100 -- rows at most
-- schedule: 0 * * * *
-- alert: rows > 0

SELECT time, host, message
FROM syslog
WHERE program = 'kernel'
  AND message ~* '(I/O error|buffer I/O|medium error|unrecovered read|EXT4-fs (error|warning)|XFS.*(corrupt|error)|BTRFS.*error|ata\d.*(failed|error)|nvme.*(timeout|reset)|SMART)'
ORDER BY time DESC
LIMIT $top

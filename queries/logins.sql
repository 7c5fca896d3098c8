-- description: Who logged in, from where and how
-- topic: security
-- needs: auth_log
-- param: top integer = 100 -- rows at most

SELECT time, user_name, client_ip, method, program, host
FROM auth_log
WHERE action = 'login'
ORDER BY time DESC
LIMIT $top

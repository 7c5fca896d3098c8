-- description: Commands that were run as another user
-- topic: security
-- needs: auth_log
-- param: top integer = 100 -- rows at most

SELECT time, host, user_name, target_user, command, tty
FROM auth_log
WHERE (action = 'sudo' AND command IS NOT NULL) OR (action = 'su' AND (command IS NOT NULL OR target_user IS NOT NULL))
ORDER BY time DESC
LIMIT $top

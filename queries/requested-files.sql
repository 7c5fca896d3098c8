-- description: Pages by hits, without static files
-- topic: web
-- needs: access_log
-- param: top integer = 20 -- rows at most
-- chart: bar x=path y=hits

SELECT path, count(*) AS hits, count(DISTINCT client_ip) AS clients, bytes_human(sum(bytes)) AS sent
FROM access_log
WHERE path IS NOT NULL
  AND path !~* '\.(css|js|mjs|map|png|jpe?g|gif|svg|ico|webp|avif|woff2?|ttf|otf|eot|mp4|webm|mp3|pdf|zip|gz|txt|xml)$'
GROUP BY path
ORDER BY hits DESC, path
LIMIT $top

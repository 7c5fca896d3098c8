<?php
error_log("search for \"" . $_GET["name"] . "\" took long");
error_log("second message\nwith a second line\n\tand a tab");
echo $undefined;
echo "ok\n";

<?php
function pay(int $cents) { throw new RuntimeException("card declined: \"4000…\"\nretry later"); }
error_log("before the end");
pay(1250);

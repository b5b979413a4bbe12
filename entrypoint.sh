#!/usr/bin/env bash
# The container's main process.
#
#   no argument   API, processor and notifier, each a process of its own; when one ends, the others are stopped
#   arguments     only that: api -c /custom-config.json --port 8000 --host 0.0.0.0
#
# CONFIG           the configuration (/srv/config.json)
# HOST, PORT       where the API listens (0.0.0.0, 8000)
# DOWNLOADER_BIN   the program (/srv/downloader)
#
# Exits with 0 after SIGTERM or SIGINT, if all three stopped as they should; with the status of the first that failed, or
# 1 when one ended unasked.
set -uo pipefail

downloader=${DOWNLOADER_BIN:-/srv/downloader}
config=${CONFIG:-/srv/config.json}

if [ $# -gt 0 ]; then
  exec "$downloader" "$@"
fi

stopping=false
pids=()

# No deadline: the processes keep their own (shutdown_grace_ms), and whoever runs the container has the last word.
stop() {
  stopping=true
  kill -TERM "${pids[@]}" 2>/dev/null
}
trap stop TERM INT

run() {
  "$downloader" "$@" </dev/null &
  pids+=($!)
}
run api -c "$config" --host "${HOST:-0.0.0.0}" --port "${PORT:-8000}"
run processor -c "$config"
run notifier -c "$config"
if $stopping; then stop; fi # the signal may have come before all were there

status=0
while [ ${#pids[@]} -gt 0 ]; do
  wait -n -p ended "${pids[@]}" 2>/dev/null
  code=$?
  if [ -z "${ended-}" ]; then
    # A signal came, or one ended before the wait began: then bash still knows its status, but not as a job.
    for pid in "${pids[@]}"; do
      if ! kill -0 "$pid" 2>/dev/null; then ended=$pid; fi
    done
    if [ -z "${ended-}" ]; then continue; fi
    wait "$ended" 2>/dev/null
    code=$?
  fi
  for i in "${!pids[@]}"; do
    if [ "${pids[i]}" = "$ended" ]; then unset "pids[i]"; fi
  done

  if ! $stopping; then
    echo "entrypoint: process $ended ended with status $code: stopping the others" >&2
    if [ "$code" -eq 0 ]; then code=1; fi
    stop
  elif [ "$code" -eq 143 ]; then
    code=0 # it had not even begun: from then on, it handles SIGTERM
  fi
  if [ "$status" -eq 0 ]; then status=$code; fi
done
exit "$status"

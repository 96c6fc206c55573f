#!/usr/bin/env bash
# Runs the targets in turn, one process at a time, until it is stopped: `run.sh [SECONDS [TARGET...]]`, each SECONDS long
# (default 300). Needs `cargo +nightly fuzz build` before. Logs, and what was run for how long, are in $FUZZ_LOG
# (default /tmp/fuzz): a line of `times` is target, seconds, executions, exit code. Finds are in artifacts/TARGET/.
set -u
cd "$(dirname "$0")"
seconds=${1:-300}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(frontmatter records merge_driver mirror session_lines usage_lines file_name)
log=${FUZZ_LOG:-/tmp/fuzz}
built=${CARGO_TARGET_DIR:-target}/x86_64-unknown-linux-gnu/release
# memory that was freed is given back soon, so that the limit is about what is in use
export ASAN_OPTIONS=quarantine_size_mb=16:detect_odr_violation=0
mkdir -p "$log"
while true; do
    for target in "${targets[@]}"; do
        mkdir -p "corpus/$target" "artifacts/$target"
        start=$(date +%s)
        nice -n 15 "$built/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" \
            -timeout=60 -rss_limit_mb=512 -malloc_limit_mb=64 -max_len=8192 -print_final_stats=1 >"$log/$target.log" 2>&1
        code=$?
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log/$target.log")
        echo "$target $(($(date +%s) - start)) ${runs:-0} $code" >>"$log/times"
        [ $code -eq 0 ] || cp "$log/$target.log" "$log/$target-$start.find.log"
    done
done

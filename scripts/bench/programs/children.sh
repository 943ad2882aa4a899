#!/bin/sh
# A shell script of N short children.
#
#     children.sh [true|mixed [N]]      default: mixed, 200
#
# `true`: nothing but /bin/true, the shortest child there is. `mixed`: the small
# commands that scripts are made of.
set -eu
kind=${1:-mixed}
count=${2:-200}
i=0
while [ "$i" -lt "$count" ]; do
    if [ "$kind" = true ]; then
        /bin/true
    else
        case $((i % 8)) in
        0) expr "$i" + 1 ;;
        1) basename /usr/share/doc/base.txt .txt ;;
        2) echo "line $i" | sed 's/line/row/' ;;
        3) ls -l / ;;
        4) date +%s ;;
        5) echo "a b c" | cut -d' ' -f2 ;;
        6) sort "$0" ;;
        7) grep -c e "$0" ;;
        esac >/dev/null
    fi
    i=$((i + 1))
done

# SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
# Sourced: every fault that is known. A case is a line `fault` and functions of its name:
#
#   NAME__up        builds the place                         (runner)
#   NAME__before    before each window, faulty or not        (foreign process)
#   NAME__on, __off before and after each faulty window      (foreign process)
#   NAME__window    runs the victim, which marks its pause   (a child of the sweep)
#
# Only NAME__window must be there.

case_names=()
declare -A case_causes case_known case_quick case_what

# fault NAME CAUSES KNOWN SPEED WHAT
#   CAUSES  ids, the first is the one it is known for; others that are as right stand behind |
#   KNOWN   what is known of the amount: self (the victim measures it), disk (the disk does), - no
#   SPEED   quick: a part of `make check`; full: only of `make faults`
fault() {
	case_names+=("$1")
	case_causes[$1]=$2 case_known[$1]=$3 case_quick[$1]=$4 case_what[$1]=$5
}

# shellcheck source=tests/faults/place.sh
. "$here/place.sh"
load=${FAULTLOAD:-}

for family in disk journal fs memory cpu user; do
	. "$here/$family.sh"
done

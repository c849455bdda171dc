# --- users and groups of this host -----------------------------------------------------------------------------------------
# Promises nothing but a better error: who may have been meant. Called where a name is refused that this host does not have (30, 36, 38). Leaves nothing.

# did_you_mean passwd|group NAME: "; did you mean \"X\"?" for the user or group whose name is nearest, where that is at most a third of the name away;
# else nothing.
did_you_mean() {
	getent "$1" | head -n 5000 | awk -F: -v wanted="$2" '
		# distance A B: how many letters must change, come or go (Levenshtein).
		function distance(a, b, i, j, row, above, left, cost) {
			for (j = 0; j <= length(b); j++) row[j] = j
			for (i = 1; i <= length(a); i++) {
				above = row[0]
				row[0] = i
				for (j = 1; j <= length(b); j++) {
					left = above
					above = row[j]
					cost = left + (substr(a, i, 1) != substr(b, j, 1))
					if (row[j] + 1 < cost) cost = row[j] + 1
					if (row[j - 1] + 1 < cost) cost = row[j - 1] + 1
					row[j] = cost
				}
			}
			return row[length(b)]
		}
		BEGIN { least = int(length(wanted) / 3) + 1 }
		# Only names that an error may show.
		$1 ~ /^[A-Za-z0-9_.-]+$/ { away = distance($1, wanted); if (away < least) { least = away; nearest = $1 } }
		END { if (nearest != "") printf "; did you mean \"%s\"?", nearest }'
}

#!/usr/bin/env bash
# Renders the pages anew: examples/pages/make.sh [TEXT]
# TEXT is cut at its paragraphs into one page for each line of the table below. Each page is set with Pango and then made
# to look as if it had been printed, laid on a scanner not quite straight, and scanned. README.md says which packages
# this needs. Nothing here is left to chance: the noise is seeded.
set -euo pipefail
export LC_ALL=C.UTF-8

text=${1:-/usr/share/common-licenses/Apache-2.0}
out=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A pocket-book page of 148 by 165 mm at 200 dots per inch.
dpi=200 width=1165 height=1300 margin=110

#    font             points  skew  scanner
pages=(
    'DejaVu Serif          12   0.4   grey'
    'Liberation Serif      15  -0.6   black'
    'Liberation Sans       18   0.8   grey'
    'C059                  14  -0.3   black'
    'DejaVu Sans           15   1.0   black'
    'P052                  15  -0.8   grey'
    'Liberation Mono       13   0.5   grey'
    'URW Bookman           13  -1.0   black'
    'Nimbus Sans           14   0.7   grey'
    'DejaVu Sans Mono      11  -0.5   black'
    'Nimbus Roman          14   0.9   grey'
    'DejaVu Sans Condensed 12  -0.7   black'
)

# Each paragraph becomes one line, and each page as many paragraphs as come nearest to an even share of what is left.
cut_into_pages() {
    awk -v pages="${#pages[@]}" -v folder="$work" '
        BEGIN { RS = ""; FS = "[ \n]+" }
        { line = ""; for (i = 1; i <= NF; i++) if ($i != "") line = line (line == "" ? "" : " ") $i
          paragraph[NR] = line; left += length(line) }
        END {
            page = 1
            for (n = 1; n <= NR; n++) {
                size = length(paragraph[n])
                if (taken > 0 && page < pages && taken + size / 2 > left / (pages - page + 1)) {
                    left -= taken; taken = 0; page++
                }
                print paragraph[n] "\n" > sprintf("%s/%02d.txt", folder, page)
                taken += size
            }
        }' "$text"
}

typeset() { # NUMBER FONT
    pango-view --no-display --dpi=$dpi --font="$2" --width=$(((width - 2 * margin) * 72 / dpi)) --margin=$margin \
        --antialias=gray --output="$work/$1.png" "$work/$1.txt"
    local set_height
    set_height=$(identify -format %h "$work/$1.png")
    [ "$set_height" -le "$height" ] || { echo "page $1 in $2 is $set_height pixels high, more than $height" >&2; exit 1; }
}

# The sheet lies askew and dusty, the lens is soft, the sensor noisy. A grey scan keeps its shades, with the paper cleaned
# to white; a black one is cut to black and white.
scan() { # NUMBER SKEW SCANNER
    local finish
    case $3 in
        grey) finish=(-attenuate 0.9 +noise Gaussian -level '25%,72%' -posterize 5 -depth 4) ;;
        black) finish=(-attenuate 1.6 +noise Gaussian -threshold '58%' -depth 1) ;;
    esac
    convert "$work/$1.png" -alpha remove -colorspace gray -gravity north -background white -extent ${width}x$height \
        -rotate "$2" -gravity center -extent ${width}x$height -seed "1$1" -attenuate 0.03 +noise Impulse -blur 0x0.9 \
        "${finish[@]}" -strip -units PixelsPerInch -density $dpi -define png:compression-level=9 "$work/page-$1.png"
}

cut_into_pages
for i in "${!pages[@]}"; do
    number=$(printf '%02d' $((i + 1)))
    [[ ${pages[i]} =~ ^(.*[^ ])\ +([0-9]+)\ +([-0-9.]+)\ +([a-z]+)$ ]]
    typeset "$number" "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
    scan "$number" "${BASH_REMATCH[3]}" "${BASH_REMATCH[4]}"
    fmt -w 100 "$work/$number.txt" | sed -e '$!b' -e '/^$/d' >"$work/page-$number.txt"
done
rm -f "$out"/page-*.png "$out"/page-*.txt
mv "$work"/page-* "$out"

package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// grown plots what one pair takes beside ever more coordinators, both scales logarithmic.
func grown(all []*contender) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%g" y="24" font-size="15">There and back, one pair, beside so many coordinators that beat</text>`+"\n", left)
	rows(&b)
	for n := 10.0; n <= 10_000; n *= 10 {
		fmt.Fprintf(&b, `<path d="M%.1f %gV%g" stroke="#ddd"/><text x="%.1f" y="%g" text-anchor="middle">%g</text>`+"\n",
			across(n), top, plotHeight-bottom, across(n), plotHeight-bottom+18, n)
	}
	for i, line := range []struct {
		name, of string
		figure   func(figures) time.Duration
	}{
		{"coord, p99", "coord", func(f figures) time.Duration { return f.p99 }},
		{"coord, p50", "coord", func(f figures) time.Duration { return f.p50 }},
		{"bare publish/subscribe, p99", "go-redis", func(f figures) time.Duration { return f.p99 }},
		{"bare publish/subscribe, p50", "go-redis", func(f figures) time.Duration { return f.p50 }},
	} {
		var points []string
		for _, c := range all {
			if n := beside(c.name); n > 0 && strings.HasPrefix(c.name, line.of) {
				points = append(points, fmt.Sprintf("%.1f,%.1f", across(n), yOf(float64(line.figure(c.median())))))
			}
		}
		drawn(&b, points, line.name, i)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// beside is how many coordinators a contender had beside it; 0 where it had none.
func beside(name string) (n float64) {
	if _, rest, ok := strings.Cut(name, ", beside "); ok {
		_, _ = fmt.Sscan(rest, &n)
	}
	return n
}

func across(n float64) float64 {
	return left + (math.Log10(n)-1)/3*(plotWidth-left-right)
}

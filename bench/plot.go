package main

import (
	"fmt"
	"math"
	"strings"
	"time"
)

// The plot: latency by percentile, both scales logarithmic, one line for each contender with one pair.
const (
	plotWidth, plotHeight = 900.0, 520.0
	left, right           = 70.0, 330.0
	top, bottom           = 40.0, 50.0
	fewest, most          = float64(1000), float64(100_000_000) // nanoseconds
)

var colours = []string{"#888888", "#1f77b4", "#17becf", "#bcbd22", "#ff7f0e", "#d62728", "#9467bd", "#2ca02c", "#8c564b", "#e377c2", "#000000"}

// percentiles go to ever rarer ones.
var percentiles = func() (all []float64) {
	for x := 0.0; x <= 3.5; x += 0.05 { // 10^-x of all are slower
		all = append(all, 100*(1-math.Pow(10, -x)))
	}
	return all
}()

func plotted(all []*contender) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" font-family="sans-serif" font-size="12">`+"\n", plotWidth, plotHeight)
	b.WriteString(`<rect width="100%" height="100%" fill="white"/>` + "\n")
	fmt.Fprintf(&b, `<text x="%g" y="24" font-size="15">There and back, one pair: latency by percentile</text>`+"\n", left)
	grid(&b)
	n := 0
	for _, c := range all {
		if c.pairs == 1 && !strings.Contains(c.name, "beside") {
			curve(&b, c, n)
			n++
		}
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// rows are the lines of equal latency.
func rows(b *strings.Builder) {
	for ns := fewest; ns <= most; ns *= 10 {
		fmt.Fprintf(b, `<path d="M%g %gH%g" stroke="#ddd"/><text x="%g" y="%g" text-anchor="end">%v</text>`+"\n",
			left, yOf(ns), plotWidth-right, left-6, yOf(ns)+4, time.Duration(ns))
	}
}

func grid(b *strings.Builder) {
	rows(b)
	for _, q := range []float64{0, 50, 90, 99, 99.9} {
		fmt.Fprintf(b, `<path d="M%.1f %gV%g" stroke="#ddd"/><text x="%.1f" y="%g" text-anchor="middle">%g %%</text>`+"\n",
			xOf(q), top, plotHeight-bottom, xOf(q), plotHeight-bottom+18, q)
	}
}

func curve(b *strings.Builder, c *contender, n int) {
	points := make([]string, len(percentiles))
	for i, q := range percentiles {
		points[i] = fmt.Sprintf("%.1f,%.1f", xOf(q), yOf(float64(quantile(c.all, q))))
	}
	drawn(b, points, c.name, n)
}

// drawn is the n-th line, and its name beside it.
func drawn(b *strings.Builder, points []string, name string, n int) {
	colour := colours[n%len(colours)]
	fmt.Fprintf(b, `<polyline fill="none" stroke="%s" stroke-width="1.8" points="%s"/>`+"\n", colour, strings.Join(points, " "))
	y := top + 20*float64(n) + 10
	fmt.Fprintf(b, `<path d="M%g %gh22" stroke="%s" stroke-width="3"/><text x="%g" y="%g">%s</text>`+"\n",
		plotWidth-right+14, y, colour, plotWidth-right+42, y+4, name)
}

func xOf(percentile float64) float64 {
	return left - math.Log10(1-percentile/100)/3.5*(plotWidth-left-right)
}

func yOf(ns float64) float64 {
	share := math.Log10(min(max(ns, fewest), most)/fewest) / math.Log10(most/fewest)
	return plotHeight - bottom - share*(plotHeight-top-bottom)
}

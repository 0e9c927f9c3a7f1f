package main

import (
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// parseDuration reads 600s, 1m30s or 250ms, and a bare number as milliseconds: 10000 is ten seconds. Nothing negative.
func parseDuration(s string) (time.Duration, error) {
	if ms, err := strconv.ParseInt(s, 10, 64); err == nil {
		if ms < 0 || ms > int64(math.MaxInt64/time.Millisecond) {
			return 0, fmt.Errorf("%s milliseconds is out of range", s)
		}
		return time.Duration(ms) * time.Millisecond, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("want a duration such as 600s, or bare milliseconds, but got %q", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("a duration must not be negative, but got %q", s)
	}
	return d, nil
}

// decodeDuration is parseDuration for kong.
func decodeDuration(ctx *kong.DecodeContext, target reflect.Value) error {
	token, err := ctx.Scan.PopValue("duration")
	if err != nil {
		return err
	}
	d, err := parseDuration(fmt.Sprint(token.Value))
	if err != nil {
		return err
	}
	target.SetInt(int64(d))
	return nil
}

// human writes d as a person would have typed it: 10m rather than 10m0s.
func human(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// brief rounds d to about three digits.
func brief(d time.Duration) string {
	unit := time.Nanosecond
	for unit*1000 <= d.Abs() {
		unit *= 10
	}
	if d.Abs() >= 10*time.Second {
		unit = time.Second
	}
	return human(d.Round(unit))
}

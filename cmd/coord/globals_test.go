package main

import (
	"strings"
	"testing"
)

// An empty variable is one that is not set: all who share an environment look at the same place.
func TestEmptyVariablesAreNotSet(t *testing.T) {
	t.Parallel()
	_, server := onRedis(t)
	member(t, server.URL(), "coord-b") // in the namespace of who says nothing
	empty := at(t, "", "COORD_NAMESPACE=", "REDIS_URL="+server.URL())
	for _, args := range [][]string{{"ls"}, {"ls", "--namespace", ""}, {"ls", "--store", ""}} {
		if got := empty.must(args...); !strings.Contains(got, "coord-b") {
			t.Errorf("%q: %q", args, got)
		}
	}
}

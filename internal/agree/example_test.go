package agree_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/blocking-coordination/coord/internal/agree"
	"github.com/blocking-coordination/coord/store/memstore"
)

// open is a codec for the example. A real one signs.
type open struct{}

func (open) Seal(place string, value []byte) []byte { return append([]byte(place+" "), value...) }

func (open) Open(place string, data []byte) ([]byte, error) {
	value, ok := strings.CutPrefix(string(data), place+" ")
	if !ok {
		return nil, errors.New("not ours")
	}
	return []byte(value), nil
}

func ExampleAttempt() {
	s := memstore.New()
	names := agree.Names{
		Counter:  "{leader}:n",
		Decision: "{leader}:decision",
		Vote:     func(r int64) string { return "{leader}:vote:" + strconv.FormatInt(r, 10) },
	}
	for _, candidate := range []string{"ann", "bob"} {
		d, mine, err := agree.Attempt(context.Background(), s, names, open{}, agree.TTLs{}, []byte(candidate))
		fmt.Printf("%s: %s %v %v\n", candidate, d, mine, err)
	}
	// Output:
	// ann: ann true <nil>
	// bob: ann false <nil>
}

package main

import (
	"context"
	"os"
)

func Example() {
	_ = run(context.Background(), os.Stdout)
	// Output:
	// login-1: DEFER (confidence 0.5)
	// login-2: DEFER (confidence 0.7)
	// login-3: PROCEED (confidence 0.9)
	// rewrite-1: DEFER (tests rejected: there are none)
	// rewrite-2: DEFER (tests rejected: there are none)
	// rewrite-3: ESCALATE (tests rejected: there are none)
}

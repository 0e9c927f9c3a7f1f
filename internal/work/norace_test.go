//go:build !race

package work_test

const thorough = true

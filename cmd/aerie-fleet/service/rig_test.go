package service

import "math/rand/v2"

func newRandom() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), 3)) }

/* What the cheapest possible call into a shared library does: nothing. */
int bench_empty_call(void *argument);

int bench_empty_call(void *argument) {
    (void)argument;
    return 0;
}

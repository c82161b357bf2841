"""The agents that ship with the product: small, rule-based, the same answer for the same request. They know no clock.

One module per mission, one function per agent. Each takes the request of a call and returns an answer, both as JSON
has them; what a function cannot do for want of input, it says as a failed answer. They import nothing of the product.
"""

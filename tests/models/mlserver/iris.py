"""MLServer's scikit-learn runtime, which answers each request of a stream as well."""

from mlserver_sklearn import SKLearnModel


class Iris(SKLearnModel):
    async def predict_stream(self, payloads):
        async for payload in payloads:
            yield await self.predict(payload)

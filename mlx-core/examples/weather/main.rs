//! The program that `docs/macros/tutorial.md` writes step by step.

use mlx_core::prelude::*;

/// Settings of a thermometer.
#[derive(PluginConfig)]
pub struct ThermometerConfig {
    /// Where it hangs.
    #[config(non_empty)]
    pub place: String,
    /// Degrees Celsius added to what it measures.
    #[config(default = 0.0, range(-5.0..=5.0))]
    pub correction: f64,
    /// Password of the service that it reports to.
    pub password: Option<Secret<String>>,
}

/// Measures one quantity.
#[mlx_core::contract(name = "sensor", capabilities = ["temperature", "humidity"])]
#[async_trait]
pub trait Sensor {
    /// The value measured now.
    async fn measure(&self) -> Result<f64>;
}

/// A thermometer on a warm day.
#[mlx_plugin(type = Sensor, capabilities = ["temperature"])]
pub struct Thermometer {
    config: ThermometerConfig,
}

#[async_trait]
impl Plugin for Thermometer {
    type Config = ThermometerConfig;
    async fn initialize(config: ThermometerConfig, _: &InitContext) -> Result<Self> {
        Ok(Thermometer { config })
    }
}

#[async_trait]
impl Sensor for Thermometer {
    async fn measure(&self) -> Result<f64> {
        Ok(24.5 + self.config.correction)
    }
}

mlx_core::component_config!("examples/weather/room-sensor.json");

/// Settings of a hygrometer.
#[derive(PluginConfig)]
pub struct HygrometerConfig {
    /// room, interval, scale, token.
    #[config(extends, default(interval = "5m"))]
    pub base: RoomSensor,
    /// Relative humidity, in percent, above which it warns.
    #[config(default = 65, range(1..=100))]
    pub limit: u8,
}

/// A hygrometer in a dry room.
#[mlx_plugin(type = Sensor, capabilities = ["humidity"])]
pub struct Hygrometer {
    config: HygrometerConfig,
}

#[async_trait]
impl Plugin for Hygrometer {
    type Config = HygrometerConfig;
    async fn initialize(config: HygrometerConfig, _: &InitContext) -> Result<Self> {
        assert_eq!(config.base.interval, Duration::from_secs(300));
        Ok(Hygrometer { config })
    }
}

#[async_trait]
impl Sensor for Hygrometer {
    async fn measure(&self) -> Result<f64> {
        Ok(f64::from(self.config.limit) / 2.0)
    }
}

/// The dew point of the air, from its temperature and its humidity.
#[mlx_plugin(type = Sensor, requires = ["thermometer", "hygrometer"])]
pub struct DewPoint {
    temperature: Handle<dyn Sensor>,
    humidity: Handle<dyn Sensor>,
}

#[async_trait]
impl Plugin for DewPoint {
    type Config = NoConfig;
    async fn initialize(_: NoConfig, cx: &InitContext) -> Result<Self> {
        let temperature = cx.get::<dyn Sensor>("thermometer")?;
        let humidity = cx.get::<dyn Sensor>("hygrometer")?;
        Ok(DewPoint { temperature, humidity })
    }
}

#[async_trait]
impl Sensor for DewPoint {
    async fn measure(&self) -> Result<f64> {
        let celsius = self.temperature.measure().await?;
        let percent = self.humidity.measure().await?;
        // The Magnus formula, with the coefficients of WMO-No. 8, annex 4.B.
        let gamma = (percent / 100.0).ln() + 17.62 * celsius / (243.12 + celsius);
        Ok(243.12 * gamma / (17.62 - gamma))
    }
}

fn main() -> Result<()> {
    mlx_core::block_on(run())
}

/// Starts the platform, asks its sensors, and stops it.
pub async fn run() -> Result<()> {
    let composition = Composition::from_yaml(include_str!("platform.yaml"))?;
    let platform = registry().activate(composition).await?;
    let thermometer = platform.get::<dyn Sensor>("thermometer")?;
    println!("{} °C", thermometer.measure().await?);
    let hygrometer = platform.get::<dyn Sensor>("hygrometer")?;
    println!("{} %", hygrometer.measure().await?);
    let dew_point = platform.get::<dyn Sensor>("dew-point")?;
    println!("{:.1} °C dew point", dew_point.measure().await?);
    platform.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thermometer_is_corrected() -> Result<()> {
        mlx_core::block_on(async {
            let settings = json!({"place": "laboratory", "correction": -0.5});
            let thermometer = registry().create::<dyn Sensor>("thermometer", settings).await?;
            assert_eq!(thermometer.measure().await?, 24.0);
            thermometer.shutdown().await
        })
    }

    #[test]
    fn the_dew_point_is_that_of_the_air() -> Result<()> {
        mlx_core::block_on(async {
            let composition = Composition::from_yaml(
                "
                plugins:
                  - {type: sensor, name: thermometer, config: {place: laboratory}}
                  - {type: sensor, name: hygrometer, config: {room: laboratory, limit: 100}}
                  - {type: sensor, name: dew-point}
                ",
            )?;
            registry()
                .run(composition, async |platform| {
                    let dew_point = platform.get::<dyn Sensor>("dew-point")?.measure().await?;
                    assert!((dew_point - 13.4).abs() < 0.05, "{dew_point}");
                    Ok(())
                })
                .await
        })
    }

    #[test]
    fn a_correction_is_small() -> Result<()> {
        let composition = Composition::from_yaml(
            "plugins: [{type: sensor, name: thermometer, config: {place: laboratory, correction: 7}}]",
        )?;
        let error = registry().resolve(&composition).map(drop).unwrap_err();
        assert_eq!(error.diagnostics()[0].path.as_deref(), Some("plugins[0].config.correction"));
        Ok(())
    }
}
